#pragma once

#include "runtime/queue/delivery.h"
#include "runtime/queue/batch.h"
#include "runtime/queue/consume.h"
#include "runtime/queue/status.h"
#include "runtime/queue/requests.h"
#include "runtime/node/queue_control.h"
