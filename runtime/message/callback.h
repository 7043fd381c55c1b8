#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "runtime/message/pool.h"

namespace pannier {

template <class Signature>
class Callback;

/// A function to be called later, owned, move-only: what std::function cannot be. Small ones stand inline, larger
/// ones in pool memory, so that arming a timer or asking a question never reaches the heap in steady state.
template <class R, class... Args>
class Callback<R(Args...)> {
 public:
  Callback() noexcept = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> && std::is_invocable_r_v<R, F&, Args...>)
      Callback(F&& function) {  // NOLINT: implicit, a lambda is a callback
    using Target = std::remove_cvref_t<F>;
    static_assert(alignof(Target) <= 16);
    if constexpr (kInline<Target>) {
      new (space_) Target(std::forward<F>(function));
    } else {
      *reinterpret_cast<void**>(space_) = new (Pool::allocate(sizeof(Target))) Target(std::forward<F>(function));
    }
    table_ = &kTable<Target>;
  }
  Callback(Callback&& other) noexcept { take(other); }
  Callback& operator=(Callback&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~Callback() { reset(); }

  explicit operator bool() const noexcept { return table_ != nullptr; }
  R operator()(Args... args) { return table_->call(space_, std::forward<Args>(args)...); }

 private:
  static constexpr std::size_t kSpace = 48;
  template <class Target>
  static constexpr bool kInline = sizeof(Target) <= kSpace&& std::is_nothrow_move_constructible_v<Target>;

  struct Table {
    R (*call)(void* space, Args... args);
    void (*move)(void* to, void* from) noexcept;
    void (*destroy)(void* space) noexcept;
  };

  template <class Target>
  static Target* target(void* space) noexcept {
    if constexpr (kInline<Target>) {
      return std::launder(static_cast<Target*>(space));
    } else {
      return static_cast<Target*>(*static_cast<void**>(space));
    }
  }

  template <class Target>
  static constexpr Table kTable{
      [](void* space, Args... args) -> R { return (*target<Target>(space))(std::forward<Args>(args)...); },
      [](void* to, void* from) noexcept {
        if constexpr (kInline<Target>) {
          new (to) Target(std::move(*target<Target>(from)));
          target<Target>(from)->~Target();
        } else {
          *static_cast<void**>(to) = *static_cast<void**>(from);
        }
      },
      [](void* space) noexcept {
        Target* self = target<Target>(space);
        self->~Target();
        if constexpr (!kInline<Target>) Pool::release(self);
      }};

  void take(Callback& other) noexcept {
    table_ = std::exchange(other.table_, nullptr);
    if (table_ != nullptr) table_->move(space_, other.space_);
  }
  void reset() noexcept {
    if (table_ != nullptr) std::exchange(table_, nullptr)->destroy(space_);
  }

  const Table* table_ = nullptr;
  alignas(16) std::byte space_[kSpace];
};

}  // namespace pannier
