#pragma once

#include "runtime/queue/backoff.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/queue_options.h"
