#pragma once

#include <pannier/link.h>
#include <pannier/zmq.h>
#include "tools/selftest_checks.h"

namespace pannier::tools {

/// Dials `link` as a node would, has the far end say hello, and hangs up. The round trip is from a record of ours to
/// that hello. It gives no name, so that a node that runs meanwhile keeps its own link. `keys`: our own; not read for a
/// link without a key, which is plaintext.
[[nodiscard]] Check check_link(const LinkOptions& link, const zmq::KeyPair& keys, Duration limit);

}  // namespace pannier::tools
