#pragma once

#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/log.h"

namespace pannier {

/// What an operating system lends a node: posix::Process or sim::World make one. Everything in it outlives the node.
struct Platform {
  Clock& clock;
  Entropy& entropy;
  Log& log;
};

}  // namespace pannier
