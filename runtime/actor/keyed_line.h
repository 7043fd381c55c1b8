#pragma once

#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <pannier/message.h>

namespace pannier {

/// A FIFO with at most one message per key. A newer message takes the place of the waiting one, so that a key told all
/// the time is not pushed back for ever. The caller bounds it. One thread.
class KeyedLine {
 public:
  struct Key {
    TypeId type;
    std::string text;
    friend bool operator==(const Key&, const Key&) = default;
  };

  [[nodiscard]] bool empty() const noexcept { return line_.empty(); }
  /// The message waiting under `key`, or null.
  [[nodiscard]] MessagePtr* find(const Key& key) {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : &found->second->message;
  }
  /// Appends. Nothing may wait under `key` yet.
  void push(Key key, MessagePtr message) {
    line_.push_back({std::move(message), key});
    places_.emplace(std::move(key), std::prev(line_.end()));
  }
  [[nodiscard]] MessagePtr pop() {
    if (line_.empty()) return nullptr;
    MessagePtr first = std::move(line_.front().message);
    places_.erase(line_.front().key);
    line_.pop_front();
    return first;
  }

 private:
  struct Place {
    MessagePtr message;
    Key key;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<std::string_view>{}(key.text) ^ static_cast<std::size_t>(key.type);
    }
  };
  std::list<Place> line_;
  std::unordered_map<Key, std::list<Place>::iterator, Hash> places_;
};

}  // namespace pannier
