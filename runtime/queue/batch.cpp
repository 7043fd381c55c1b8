#include <pannier/queue.h>

namespace pannier {

Batch& Batch::enqueue(std::string_view address, std::string_view key, const AnyTable& payload, EnqueueOptions options) {
  const auto slash = address.find('/');
  const bool local = slash == std::string_view::npos;
  messages_.push_back({std::string{local ? std::string_view{} : address.substr(0, slash)},
                       std::string{local ? address : address.substr(slash + 1)}, std::string{key}, payload,
                       std::move(options)});
  return *this;
}

Batch& Batch::put_state(std::string_view key, const AnyTable& value) {
  state_.push_back({std::string{key}, value.block()});
  return *this;
}

Batch& Batch::erase_state(std::string_view key) {
  state_.push_back({std::string{key}, {}});
  return *this;
}

}  // namespace pannier
