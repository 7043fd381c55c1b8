#pragma once

#include "runtime/actor/handler_times.h"
#include "runtime/actor/observer.h"
