#pragma once

#include "runtime/link/link_options.h"
#include "runtime/link/topic_counters.h"
