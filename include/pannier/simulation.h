#pragma once

#include "testkit/recorded_log.h"
#include "testkit/seeds.h"
#include "testkit/sim_node.h"
#include "testkit/simulation.h"
