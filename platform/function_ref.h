#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace pannier {

template <class Signature>
class FunctionRef;

/// A function borrowed for the length of a call: the type of a parameter, and of nothing that outlives the call, since
/// what it refers to may be gone with the expression that made it. Two words; nothing is copied, allocated or
/// destroyed, as std::function would. After P0792, which C++26 has as std::function_ref.
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
