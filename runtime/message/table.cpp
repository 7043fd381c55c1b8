#include <pannier/message.h>

namespace pannier {

std::uint8_t* BlockBuilder::PoolAllocator::allocate(std::size_t size) {
  return static_cast<std::uint8_t*>(Pool::allocate(kBlockHeaderBytes + size)) + kBlockHeaderBytes;
}

void BlockBuilder::PoolAllocator::deallocate(std::uint8_t* memory, std::size_t) {
  Pool::release(memory - kBlockHeaderBytes);
}

bool detail::verify_root(std::span<const std::byte> bytes,
                         bool (*verify)(const void* table, flatbuffers::Verifier& verifier)) noexcept {
  // As Verifier::VerifyBuffer does it, whose template would be in every program once for each type of table.
  using flatbuffers::soffset_t, flatbuffers::uoffset_t;  // of the macro
  if (bytes.size() < (FLATBUFFERS_MIN_BUFFER_SIZE) || bytes.size() > limits::kPayloadBytes) return false;
  const auto* buffer = reinterpret_cast<const std::uint8_t*>(bytes.data());
  flatbuffers::Verifier verifier(buffer, bytes.size(), limits::kVerifyDepth, limits::kVerifyTables);
  const auto root = verifier.VerifyOffset(0);
  return root != 0 && verify(buffer + root, verifier);
}

// The minimal alignment makes capacity a multiple of 16. A buffer ends where its memory does, so its start is aligned
// as its largest field needs.
BlockBuilder::BlockBuilder(std::size_t expected_bytes)
    : builder_(expected_bytes, &allocator_, false, limits::kPayloadAlignment) {}

BlockRef BlockBuilder::finish(flatbuffers::Offset<void> root) {
  builder_.Finish(root);
  const std::size_t length = builder_.GetSize();
  std::size_t capacity = 0;
  std::size_t offset = 0;
  std::uint8_t* raw = builder_.ReleaseRaw(capacity, offset);
  auto* memory = reinterpret_cast<std::byte*>(raw) - kBlockHeaderBytes;
  BlockRef ref;
  ref.block_ = new (memory) Block;
  ref.block_->start_ = reinterpret_cast<std::byte*>(raw) + offset;
  ref.block_->size_ = static_cast<std::uint32_t>(length);
  ref.block_->set_verified();
  return ref;
}

}  // namespace pannier
