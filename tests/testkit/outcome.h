#pragma once

#include <string>

#include <pannier/result.h>

namespace pannier::testkit {

/// "ok", or the name of the error's code.
template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : std::string{to_string(result.error().code)};
}

}  // namespace pannier::testkit
