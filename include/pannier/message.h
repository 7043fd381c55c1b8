#pragma once

#include <flatbuffers/flatbuffers.h>
#include <array>
#include <atomic>
#include <bit>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <pannier/limits.h>
#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier {

/// Identifies a message type across nodes, releases and disks: the 64-bit FNV-1a hash of the schema's full name
/// ("delivery.OrderCreated"). Needs no registry.
enum class TypeId : std::uint64_t {};

/// FNV-1a, 64 bit (Fowler, Noll, Vo; parameters from RFC draft-eastlake-fnv).
[[nodiscard]] constexpr TypeId type_id_of(std::string_view full_name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : full_name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return TypeId{hash};
}

/// Identifies one armed timer of one worker; zero is none. Ids are never reused, so cancelling after the timer fired
/// does nothing.
enum class TimerId : std::uint64_t {};

/// Identifies one life of one actor by worker, slot and generation. A reused slot has a new generation, so a message to
/// a stopped actor is refused and never reaches its successor. The top bit marks a name instead, resolved at each send
/// (runtime/actor/directory.h); the next bit marks a name on another node.
class ActorId {
 public:
  static constexpr unsigned kSlotBits = 24;
  static constexpr unsigned kWorkerBits = 7;

  constexpr ActorId() noexcept = default;
  constexpr ActorId(std::uint32_t worker, std::uint32_t slot, std::uint32_t generation) noexcept
      : bits_(std::uint64_t{worker} << 56 | std::uint64_t{slot} << 32 | generation) {}
  static constexpr std::uint32_t kNameGenerations = 1U << 30;
  [[nodiscard]] static constexpr ActorId named(std::uint32_t index, std::uint32_t generation, bool elsewhere) noexcept {
    ActorId id;
    id.bits_ = kNamed | (elsewhere ? kElsewhere : 0) | std::uint64_t{generation} << 32 | index;
    return id;
  }
  [[nodiscard]] static constexpr ActorId from_bits(std::uint64_t bits) noexcept {
    ActorId id;
    id.bits_ = bits;
    return id;
  }

  [[nodiscard]] constexpr bool is_named() const noexcept { return (bits_ & kNamed) != 0; }
  /// Of a name: it belongs to another node.
  [[nodiscard]] constexpr bool is_elsewhere() const noexcept { return (bits_ & kElsewhere) != 0; }
  [[nodiscard]] constexpr std::uint32_t name_index() const noexcept { return static_cast<std::uint32_t>(bits_); }
  [[nodiscard]] constexpr std::uint32_t name_generation() const noexcept {
    return static_cast<std::uint32_t>(bits_ >> 32) & (kNameGenerations - 1);
  }
  [[nodiscard]] constexpr std::uint32_t worker() const noexcept {
    return static_cast<std::uint32_t>(bits_ >> 56) & 0x7f;
  }
  [[nodiscard]] constexpr std::uint32_t slot() const noexcept {
    return static_cast<std::uint32_t>(bits_ >> 32) & ((1U << kSlotBits) - 1);
  }
  [[nodiscard]] constexpr std::uint32_t generation() const noexcept { return static_cast<std::uint32_t>(bits_); }
  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  explicit constexpr operator bool() const noexcept { return bits_ != 0; }
  friend constexpr auto operator<=>(ActorId, ActorId) noexcept = default;

 private:
  static constexpr std::uint64_t kNamed = 1ULL << 63;
  static constexpr std::uint64_t kElsewhere = 1ULL << 62;
  std::uint64_t bits_ = 0;  // zero: no actor
};

/// A reference to an actor anywhere, in this process or behind a link. Takes FlatBuffers payloads only. A value that
/// can be copied, stored and sent; it keeps nothing alive. A reference by name is valid while an actor that asked for
/// the name lives, and for a while longer; see Directory.
class Ref {
 public:
  constexpr Ref() noexcept = default;
  explicit constexpr Ref(ActorId actor_id) noexcept : id_(actor_id) {}
  [[nodiscard]] constexpr ActorId id() const noexcept { return id_; }
  explicit constexpr operator bool() const noexcept { return static_cast<bool>(id_); }
  friend constexpr auto operator<=>(Ref, Ref) noexcept = default;

 private:
  ActorId id_;
};

/// A reference to an actor in this process. Also takes native values, which are moved and never serialised.
class LocalRef : public Ref {
 public:
  using Ref::Ref;
};

/// A reference to an actor of known class in this process. A message that the class does not handle does not compile.
template <class A>
class ActorRef : public LocalRef {
 public:
  using LocalRef::LocalRef;
};

/// Memory for messages, blocks and actors: free lists by size class, one pool per worker, without locks or system calls
/// in steady state. Memory may be released on any thread. What is released elsewhere returns to its pool through one
/// atomic list, taken as a whole (the "thread-delayed free" of Leijen, Zorn, de Moura: Mimalloc, 2019).
///
/// A worker makes its pool the current one of its thread while it steps (Pool::Scope). Without a current pool, as on a
/// program's main thread, memory comes from the heap and returns to it. A pool that is dropped while some of its memory
/// is in use lives until the last piece returns.
class Pool {
 public:
  struct Retire {
    void operator()(Pool* pool) const noexcept { pool->retire(); }
  };
  using Owner = std::unique_ptr<Pool, Retire>;

  [[nodiscard]] static Owner create() { return Owner{new Pool}; }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// At least `bytes`, aligned to 16. Aborts if the system is out of memory: a bound is missing somewhere.
  [[nodiscard]] static void* allocate(std::size_t bytes);
  /// Any thread. `memory` came from allocate; null is ignored.
  static void release(void* memory) noexcept;
  /// The usable size of `memory`, which came from allocate.
  [[nodiscard]] static std::size_t usable_bytes(const void* memory) noexcept;

  /// Makes `pool` the current one of this thread.
  class Scope {
   public:
    explicit Scope(Pool& pool) noexcept : previous_(current_) { current_ = &pool; }
    ~Scope() { current_ = previous_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Pool* previous_;
  };

  /// How often the pool asked the system for memory. Constant in steady state.
  [[nodiscard]] std::uint64_t system_allocations() const noexcept { return system_allocations_; }

 private:
  static constexpr std::size_t kClasses = 30;        // 48, 64, 96, 128 ... 768 Ki, 1 Mi bytes, header included
  static constexpr std::size_t kChunkBytes = 65536;  // classes up to a quarter of this are carved from chunks
  static constexpr std::uint32_t kHeapClass = 0xffffffff;

  struct Header {  // precedes every piece
    Pool* owner;   // null: from the heap
    std::uint32_t size_class;
    std::uint32_t heap_bytes;
  };
  static_assert(sizeof(Header) <= 16);
  static constexpr std::size_t kHeaderBytes = 16;
  struct Free {
    Free* next;
  };

  Pool() = default;
  ~Pool();
  void retire() noexcept;
  [[nodiscard]] void* take(std::size_t size_class);
  [[nodiscard]] bool collect_returned() noexcept;
  void return_from_elsewhere(Free* piece) noexcept;

  /// Two classes per power of two: rounding wastes at most a third.
  [[nodiscard]] static constexpr std::size_t class_of(std::size_t bytes) noexcept {
    if (bytes <= 48) return 0;
    const auto bits = static_cast<std::size_t>(std::bit_width(bytes - 1));  // 2^(bits - 1) < bytes <= 2^bits
    return (bits - 6) * 2 + (bytes > std::size_t{3} << (bits - 2) ? 1 : 0);
  }
  [[nodiscard]] static constexpr std::size_t class_bytes(std::size_t size_class) noexcept {
    return (size_class % 2 == 0 ? std::size_t{48} : std::size_t{64}) << (size_class / 2);
  }

  static Header* header_of(void* memory) noexcept;
  static const Header* header_of(const void* memory) noexcept;
  static Free* retired_mark() noexcept;

  static thread_local Pool* current_;

  std::array<Free*, kClasses> free_{};
  std::byte* chunk_ = nullptr;  // the rest of the newest chunk
  std::size_t chunk_left_ = 0;
  std::int64_t live_ = 0;  // pieces in use, as far as the owner has seen
  std::uint64_t system_allocations_ = 0;
  Free* blocks_ = nullptr;  // all memory from the system, for the destructor
  alignas(64) std::atomic<Free*> returned_{nullptr};
  std::atomic<std::int64_t> outstanding_{0};  // used only once retired
};

template <class Signature>
class Callback;

/// A function to call later: owned and move-only, unlike std::function. Small ones are stored inline, larger ones in
/// pool memory, so that timers and asks need no heap in steady state.
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

/// For containers filled on one worker and emptied on another, which would otherwise contend for the heap's lock.
template <class T>
struct PoolAllocator {
  using value_type = T;
  static_assert(alignof(T) <= 16, "pool memory is aligned to 16");

  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) { return static_cast<T*>(Pool::allocate(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t) noexcept { Pool::release(memory); }
  friend bool operator==(PoolAllocator, PoolAllocator) noexcept { return true; }
};

/// A shared, immutable run of bytes aligned to 16. Counted by BlockRef; lives in a Pool.
class Block {
 public:
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {start_, size_}; }
  /// True once the bytes were verified, or if they were built in this process. Readers do not verify again.
  [[nodiscard]] bool verified() const noexcept { return verified_.load(std::memory_order_relaxed); }
  void set_verified() const noexcept { verified_.store(true, std::memory_order_relaxed); }

 private:
  friend class BlockRef;
  friend class BlockBuilder;
  using Destroy = void (*)(void*) noexcept;

  std::byte* start_ = nullptr;
  Destroy destroy_ = nullptr;  // of a native value shared by a fan-out
  std::uint32_t size_ = 0;
  mutable std::atomic<std::uint32_t> references_{1};
  mutable std::atomic<bool> verified_{false};
};

/// Space before the bytes that keeps them aligned to 16 on 32-bit and 64-bit alike.
inline constexpr std::size_t kBlockHeaderBytes = 32;
static_assert(sizeof(Block) <= kBlockHeaderBytes);

/// One share of a Block. Copies share it; the last one to go frees it. Any thread.
class BlockRef {
 public:
  BlockRef() noexcept = default;
  BlockRef(const BlockRef& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() { reset(); }

  explicit operator bool() const noexcept { return block_ != nullptr; }
  [[nodiscard]] const Block* operator->() const noexcept { return block_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return block_ == nullptr ? std::span<const std::byte>{} : block_->bytes();
  }
  [[nodiscard]] bool unique() const noexcept {
    return block_ != nullptr && block_->references_.load(std::memory_order_acquire) == 1;
  }

  /// A block with a copy of `bytes`, not verified: for input from a wire or a disk.
  [[nodiscard]] static BlockRef copy_of(std::span<const std::byte> bytes) {
    BlockRef ref = with_space(bytes.size());
    if (!bytes.empty()) std::memcpy(ref.block_->start_, bytes.data(), bytes.size());
    return ref;
  }

  /// A block holding one native value, destroyed with the last share.
  template <class T>
  [[nodiscard]] static BlockRef holding(T value) {
    static_assert(alignof(T) <= 16);
    BlockRef ref = with_space(sizeof(T));
    new (ref.block_->start_) T(std::move(value));
    ref.block_->destroy_ = [](void* memory) noexcept { static_cast<T*>(memory)->~T(); };
    ref.block_->set_verified();
    return ref;
  }

 private:
  friend class BlockBuilder;

  [[nodiscard]] static BlockRef with_space(std::size_t size) {
    auto* memory = static_cast<std::byte*>(Pool::allocate(kBlockHeaderBytes + size));
    BlockRef ref;
    ref.block_ = new (memory) Block;
    ref.block_->start_ = memory + kBlockHeaderBytes;
    ref.block_->size_ = static_cast<std::uint32_t>(size);
    return ref;
  }

  void reset() noexcept {
    if (block_ == nullptr) return;
    // With one share left nobody else can be counting, so skip the locked instruction.
    if (block_->references_.load(std::memory_order_acquire) == 1 ||
        block_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      if (block_->destroy_ != nullptr) block_->destroy_(block_->start_);
      block_->~Block();
      Pool::release(block_);
    }
    block_ = nullptr;
  }

  Block* block_ = nullptr;
};

/// A table generated by flatc with --cpp-static-reflection. It can leave the process and go to disk.
template <class T>
concept FlatTable = requires {
  typename T::Traits;
  { T::Traits::fully_qualified_name } -> std::convertible_to<std::string_view>;
};

/// A table's object-API struct (`OrderCreatedT` of `OrderCreated`): filled field by field, then packed once.
template <class T>
concept FlatObject = requires {
  typename T::TableType;
}
&&FlatTable<typename T::TableType>;

/// An immutable FlatBuffers table and a share of its bytes. Cheap to copy and safe to keep; sending it again shares the
/// bytes. Any thread.
template <FlatTable T>
class Table {
 public:
  using table_type = T;

  /// `block` holds a buffer of root T, verified or built here.
  explicit Table(BlockRef block) noexcept : block_(std::move(block)) {}

  [[nodiscard]] const T& operator*() const noexcept { return *root(); }
  [[nodiscard]] const T* operator->() const noexcept { return root(); }
  [[nodiscard]] const BlockRef& block() const noexcept { return block_; }
  [[nodiscard]] BlockRef take_block() && noexcept { return std::move(block_); }
  /// The buffer as sent on a wire. Lives as long as a share of the table.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return block_.bytes(); }

 private:
  [[nodiscard]] const T* root() const noexcept { return flatbuffers::GetRoot<T>(block_.bytes().data()); }
  BlockRef block_;
};

namespace detail {
/// verify_table but for the part that every type has of its own.
[[nodiscard]] bool verify_root(std::span<const std::byte> bytes,
                               bool (*verify)(const void* table, flatbuffers::Verifier& verifier)) noexcept;
}  // namespace detail

/// Verifies the structure once, with bounds on depth and number of tables. Says nothing about meaning.
template <FlatTable T>
[[nodiscard]] bool verify_table(std::span<const std::byte> bytes) noexcept {
  return detail::verify_root(bytes, [](const void* table, flatbuffers::Verifier& verifier) {
    return static_cast<const T*>(table)->Verify(verifier);
  });
}

/// Builds a buffer in pool memory that becomes the message's block without a copy.
class BlockBuilder {
 public:
  explicit BlockBuilder(std::size_t expected_bytes = 480);
  [[nodiscard]] flatbuffers::FlatBufferBuilder& builder() noexcept { return builder_; }
  /// Finishes the buffer at `root` and hands over its memory. The builder is empty afterwards.
  [[nodiscard]] BlockRef finish(flatbuffers::Offset<void> root);

 private:
  struct PoolAllocator final : flatbuffers::Allocator {
    std::uint8_t* allocate(std::size_t size) override;
    void deallocate(std::uint8_t* memory, std::size_t size) override;
  };
  PoolAllocator allocator_;
  flatbuffers::FlatBufferBuilder builder_;
};

namespace detail {

template <class Field>
auto to_field(flatbuffers::FlatBufferBuilder& builder, Field&& field);

/// A vector's elements: scalars, structs, texts, or object structs of tables.
template <class Range>
auto to_vector(flatbuffers::FlatBufferBuilder& builder, const Range& range) {
  using Element = std::ranges::range_value_t<Range>;
  const auto* data = std::ranges::data(range);
  const std::size_t size = std::ranges::size(range);
  if constexpr (std::same_as<Element, std::byte>) {
    return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(data), size);
  } else if constexpr (std::is_arithmetic_v<Element> || std::is_enum_v<Element>) {
    return builder.CreateVector(data, size);
  } else if constexpr (FlatObject<Element> || std::convertible_to<Element, std::string_view>) {
    std::vector<decltype(to_field(builder, *data))> offsets;
    offsets.reserve(size);
    for (const Element& element : range) offsets.push_back(to_field(builder, element));
    return builder.CreateVector(offsets);
  } else {
    return builder.CreateVectorOfStructs(data, size);
  }
}

template <class Field>
auto to_field(flatbuffers::FlatBufferBuilder& builder, Field&& field) {
  using Plain = std::remove_cvref_t<Field>;
  if constexpr (std::convertible_to<Field, std::string_view>) {
    const std::string_view text = field;
    return builder.CreateString(text.data(), text.size());
  } else if constexpr (FlatObject<Plain>) {
    return Plain::TableType::Pack(builder, &field);
  } else if constexpr (std::same_as<Plain, std::vector<bool>>) {
    return builder.CreateVector(field);
  } else if constexpr (std::ranges::contiguous_range<Plain>) {
    return to_vector(builder, field);
  } else {
    return std::forward<Field>(field);
  }
}

/// The root of a table from fields already written.
template <class T>
struct Created {
  template <class... Values>
  explicit Created(flatbuffers::FlatBufferBuilder& builder, Values... values)
      : root(T::Traits::Create(builder, values...)) {}
  flatbuffers::Offset<T> root;
};

}  // namespace detail

/// A table from all its fields in the schema's order. Text is passed as text, a vector as any contiguous range of
/// scalars, structs, texts or object structs, a nested table as its object struct: `make<Status>(done, eta_s, "on the
/// way", std::vector<std::string>{"bread", "soup"})`.
template <FlatTable T, class... Fields>
[[nodiscard]] Table<T> make(Fields&&... fields) {
  static_assert(
      sizeof...(Fields) == T::Traits::fields_number,
      "give every field of the table, in the schema's order; for a few of many fill its object and pack() it");
  BlockBuilder block;
  auto& builder = block.builder();
  // Braced initialisation fixes the order: FlatBuffers needs nested objects first.
  const detail::Created<T> created{builder, detail::to_field(builder, std::forward<Fields>(fields))...};
  return Table<T>{block.finish(created.root.Union())};
}

/// A table from its object struct: `pack(order)` with an `OrderCreatedT order`. Keeps no reference to `object`.
template <FlatObject Object>
[[nodiscard]] auto pack(const Object& object) {
  using T = typename Object::TableType;
  BlockBuilder block;
  const auto root = T::Pack(block.builder(), &object);
  return Table<T>{block.finish(root.Union())};
}

/// A table built by hand: `build<Route>([&](flatbuffers::FlatBufferBuilder& b) { ...; return CreateRoute(b, ...); })`.
template <FlatTable T, class Build>
requires std::invocable<Build&, flatbuffers::FlatBufferBuilder&>
[[nodiscard]] Table<T> build(Build&& build) {
  BlockBuilder block;
  const flatbuffers::Offset<T> root = build(block.builder());
  return Table<T>{block.finish(root.Union())};
}

enum class MessageKind : std::uint8_t {
  tell,
  ask,       ///< `correlation` is the asker's number of the question.
  reply,     ///< `correlation` as in the question. An error code may replace the payload.
  publish,   ///< One subscriber's share of a publication.
  delivery,  ///< A row of the queue. `correlation` is the consumer's handle.
  start,     ///< System: build the actor from its recipe, the payload.
  adopt,     ///< System: supervise one more child. Payload: Child.
  watch,     ///< System: tell `sender` when the receiver ends.
  stop,      ///< System: end the actor, children first.
  halt,      ///< System, supervisor to child: drop the state, children first, and wait for `begin`.
  begin,     ///< System, supervisor to child: rebuild the state from the recipe.
  halted,    ///< System, child to supervisor: the state is dropped.
  begun,     ///< System, child to supervisor: the state is built.
  delayed,   ///< System, child to supervisor: stopping takes longer because of a child of its own. Payload: Duration,
             ///< at most.
  failed,    ///< System, child to supervisor: decide about a failure. Payload: ChildFailure.
  down,      ///< System: a child or a watched actor has ended. Payload: Down.
  room,      ///< System, a question: answered once the mailbox of the receiver has room.
};

enum class Urgency : std::uint8_t { normal, urgent };

/// What the runtime knows of a type: its name, how to destroy it, how to verify it. One static object per type.
struct TypeInfo {
  TypeId id;
  std::string_view name;
  void (*destroy)(void* value) noexcept;                      ///< Native values; null if trivial.
  bool (*verify)(std::span<const std::byte> bytes) noexcept;  ///< Tables; null for native types.
};

namespace detail {

/// T as the compiler spells it: a name without RTTI. Fit for native types, which never leave the process.
template <class T>
constexpr std::string_view native_name() noexcept {
  std::string_view text = __PRETTY_FUNCTION__;
  const auto start = text.find("T = ") + 4;
  const auto end = text.find_first_of(";]", start);
  return text.substr(start, end - start);
}

template <class T>
constexpr std::string_view type_name() noexcept {
  if constexpr (FlatTable<T>) {
    return T::Traits::fully_qualified_name;
  } else {
    return native_name<T>();
  }
}

template <class T>
inline constexpr TypeInfo kTypeInfo{type_id_of(type_name<T>()), type_name<T>(),
                                    [] {
                                      void (*destroy)(void*) noexcept = nullptr;
                                      if constexpr (!FlatTable<T> && !std::is_trivially_destructible_v<T>) {
                                        destroy = [](void* value) noexcept { static_cast<T*>(value)->~T(); };
                                      }
                                      return destroy;
                                    }(),
                                    [] {
                                      bool (*verify)(std::span<const std::byte>) noexcept = nullptr;
                                      if constexpr (FlatTable<T>) verify = &verify_table<T>;
                                      return verify;
                                    }()};

}  // namespace detail

template <class T>
[[nodiscard]] constexpr const TypeInfo& type_info() noexcept {
  return detail::kTypeInfo<T>;
}

/// To whom a message belongs, as in W3C Trace Context: the trace, and the span in it that caused the message.
struct Trace {
  std::uint64_t high = 0;  ///< The trace's id, its first eight bytes,
  std::uint64_t low = 0;   ///< and its last.
  std::uint64_t span = 0;
  std::uint8_t flags = 0;  ///< Bit 0: sampled.
  /// False: it belongs to none.
  explicit operator bool() const noexcept { return (high | low) != 0; }
  friend bool operator==(const Trace&, const Trace&) = default;
};

/// The trace that a block holds; none where it is null.
[[nodiscard]] inline Trace trace_of(const BlockRef& held) noexcept {
  return held ? *reinterpret_cast<const Trace*>(held.bytes().data()) : Trace{};
}
[[nodiscard]] inline BlockRef hold(const Trace& trace) { return trace ? BlockRef::holding(trace) : BlockRef{}; }

/// One message on its way inside a process: envelope and payload in one piece of pool memory. A native value stands
/// inline; a table (or a native value shared by a fan-out) is a share of a block. Owned through MessagePtr.
struct Message {
  Message* next = nullptr;  ///< Link of the containing queue.
  TypeId type{};
  const TypeInfo* info = nullptr;  ///< Null for a received table until a handler knows its type.
  ActorId receiver;
  ActorId sender;
  std::uint64_t correlation = 0;
  BlockRef trace;              ///< A Trace, carried from the message being handled to those it causes; mostly none.
  MonoTime deadline = kNever;  ///< Of an ask.
  BlockRef block;
  /// The topic of a publication, the key of a delivery, the cause of a refusal, or the node that sent a question. Of a
  /// question within this process: its ask chain, as ActorId bits.
  BlockRef label;
  std::uint32_t inline_bytes = 0;
  MessageKind kind = MessageKind::tell;
  Urgency urgency = Urgency::normal;
  bool reserved = false;   ///< Uses reserved capacity instead of the mailbox's bound.
  bool from_afar = false;  ///< Received over a link.
  bool has_error = false;
  ErrorCode error{};

  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() {
    if (inline_bytes != 0 && info->destroy != nullptr) info->destroy(inline_value());
  }

  [[nodiscard]] void* inline_value() noexcept;
  /// The label as text: a topic or a key. The label of a numbered publication has its number behind the topic and a
  /// zero byte, which no topic has.
  [[nodiscard]] std::string_view label_text() const noexcept {
    const auto bytes = label.bytes();
    const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return kind == MessageKind::publish ? text.substr(0, text.find('\0')) : text;
  }
  /// Of a question from another node: which one. Its label names that node, and behind '\n' who waits for the answer.
  [[nodiscard]] std::string_view asking_node() const noexcept {
    if (!from_afar) return {};
    const auto bytes = label.bytes();
    const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return text.substr(0, text.find('\n'));
  }
  [[nodiscard]] Trace trace_context() const noexcept { return trace_of(trace); }
  void set_trace(const Trace& context) { trace = hold(context); }
  /// What counts against a mailbox's bytes.
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return inline_bytes + block.bytes().size(); }
  [[nodiscard]] std::string_view type_name() const noexcept { return info != nullptr ? info->name : "unknown type"; }

  struct Delete {
    void operator()(Message* message) const noexcept {
      message->~Message();
      Pool::release(message);
    }
  };
};
using MessagePtr = std::unique_ptr<Message, Message::Delete>;

namespace detail {
inline constexpr std::size_t kMessageHeaderBytes = (sizeof(Message) + 15) & ~std::size_t{15};
static_assert(kMessageHeaderBytes <= 96, "with 16 bytes of payload a message fits the pool's class of 128");
}  // namespace detail

inline void* Message::inline_value() noexcept {
  return reinterpret_cast<std::byte*>(this) + detail::kMessageHeaderBytes;
}

/// A message without payload.
[[nodiscard]] inline MessagePtr make_message(MessageKind kind, ActorId receiver) {
  MessagePtr message{new (Pool::allocate(sizeof(Message))) Message};
  message->kind = kind;
  message->receiver = receiver;
  return message;
}

/// A message with a native value inline.
template <class T>
[[nodiscard]] MessagePtr native_message(MessageKind kind, ActorId receiver, T&& value) {
  using Value = std::remove_cvref_t<T>;
  static_assert(alignof(Value) <= 16, "over-aligned native payloads are not supported");
  MessagePtr message{new (Pool::allocate(detail::kMessageHeaderBytes + sizeof(Value))) Message};
  new (message->inline_value()) Value(std::forward<T>(value));
  message->inline_bytes = sizeof(Value);
  message->type = type_info<Value>().id;
  message->info = &type_info<Value>();
  message->kind = kind;
  message->receiver = receiver;
  return message;
}

/// A message that shares a table.
template <FlatTable T>
[[nodiscard]] MessagePtr table_message(MessageKind kind, ActorId receiver, const Table<T>& table) {
  MessagePtr message = make_message(kind, receiver);
  message->type = type_info<T>().id;
  message->info = &type_info<T>();
  message->block = table.block();
  return message;
}

/// An intrusive FIFO that owns its messages. One thread.
class MessageQueue {
 public:
  MessageQueue() = default;
  MessageQueue(const MessageQueue&) = delete;
  MessageQueue& operator=(const MessageQueue&) = delete;
  ~MessageQueue() {
    while (pop()) {
    }
  }

  [[nodiscard]] bool empty() const noexcept { return last_ == nullptr; }
  /// Puts all of `earlier` in front, in order.
  void prepend(MessageQueue& earlier) noexcept {
    if (earlier.last_ == nullptr) return;
    if (last_ == nullptr) {
      last_ = std::exchange(earlier.last_, nullptr);
    } else {
      std::swap(last_->next, earlier.last_->next);
      earlier.last_ = nullptr;
    }
  }
  void push(MessagePtr message) noexcept {
    Message* raw = message.release();
    raw->next = last_ == nullptr ? raw : std::exchange(last_->next, raw);
    last_ = raw;
  }
  [[nodiscard]] MessagePtr pop() noexcept {
    if (last_ == nullptr) return nullptr;
    Message* first = last_->next;
    if (first == last_) {
      last_ = nullptr;
    } else {
      last_->next = first->next;
    }
    return MessagePtr{first};
  }

 private:
  Message* last_ = nullptr;  // a ring: the last one's next is the first. One pointer, since an actor has three queues
};

/// A table whose type is known only by its id, for gateways, tools and bridges. Every Table<T> converts to one. Shares
/// the bytes, like Table. Received bytes are verified only when read as a type.
class AnyTable {
 public:
  template <FlatTable T>
  AnyTable(const Table<T>& table) : AnyTable(type_info<T>().id, &type_info<T>(), table.block()) {}  // NOLINT: implicit
  /// `info` is null if the program has no code for the type.
  AnyTable(TypeId type, const TypeInfo* info, BlockRef block) : type_(type), info_(info), block_(std::move(block)) {}

  /// False for a native value shared by a fan-out, which stays in the process.
  [[nodiscard]] bool can_leave() const noexcept { return info_ == nullptr || info_->verify != nullptr; }
  [[nodiscard]] TypeId type() const noexcept { return type_; }
  [[nodiscard]] const TypeInfo* info() const noexcept { return info_; }
  [[nodiscard]] const BlockRef& block() const noexcept { return block_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return block_.bytes(); }

  /// Reads it as a T. rejected: it is another type. malformed: the bytes do not verify.
  template <FlatTable T>
  [[nodiscard]] Result<Table<T>> as() const {
    if (type_ != type_info<T>().id) return ErrorCode::rejected;
    if (!block_) return ErrorCode::malformed;
    if (!block_->verified()) {
      if (!verify_table<T>(block_.bytes())) return ErrorCode::malformed;
      block_->set_verified();
    }
    return Table<T>{block_};
  }

 private:
  TypeId type_;
  const TypeInfo* info_;
  BlockRef block_;
};

[[nodiscard]] inline MessagePtr any_message(MessageKind kind, ActorId receiver, const AnyTable& table) {
  MessagePtr message = make_message(kind, receiver);
  message->type = table.type();
  message->info = table.info();
  message->block = table.block();
  return message;
}

namespace detail {

/// The reply to a question whose answer is success alone.
struct Done {};

/// What a reply to a T carries within the process, and how to make the T from it.
template <class T>
struct Carried {
  using type = T;
  static T unpack(T&& value) { return std::move(value); }
};

}  // namespace detail

}  // namespace pannier
