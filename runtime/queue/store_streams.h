#pragma once

#include <vector>

#include "runtime/store/store.h"

namespace pannier {

/// Copies of all streams of a store, ordered by box, node and lane.
inline Result<std::vector<Stream>> streams_of(const Store& store) {
  std::vector<Stream> all;
  store.visit_streams({}, {}, [&](const Stream& stream) {
    all.push_back(stream);
    return true;
  });
  return all;
}

}  // namespace pannier
