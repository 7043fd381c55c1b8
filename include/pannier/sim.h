#pragma once

#include "platform/sim/virtual_clock.h"
#include "platform/sim/seeded_entropy.h"
#include "platform/sim/simulator.h"
#include "transports/sim/network.h"
