#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace pannier {

template <class Signature>
class FunctionRef;

/// A function borrowed for the duration of a call. Use it for parameters only; it may dangle once the full expression
/// ends. Two words. Unlike std::function it copies and allocates nothing. After P0792 (std::function_ref in C++26).
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> && std::is_object_v<std::remove_reference_t<F>> &&
           std::is_invocable_r_v<R, F&, Args...>) FunctionRef(F&& function)
  noexcept  // NOLINT: implicit, a lambda is a function
      : target_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* target, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(target))(std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(target_, std::forward<Args>(args)...); }

 private:
  void* target_;
  R (*call_)(void* target, Args... args);
};

}  // namespace pannier
