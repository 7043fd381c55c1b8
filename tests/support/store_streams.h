#pragma once

#include <vector>

#include "runtime/store/store.h"

namespace pannier::testing {

/// Copies of all streams of a store, ordered by box, node and lane.
inline std::vector<Stream> all_streams(const Store& store) {
  std::vector<Stream> all;
  store.visit_streams({}, {}, [&](const Stream& stream) {
    all.push_back(stream);
    return true;
  });
  return all;
}

}  // namespace pannier::testing
