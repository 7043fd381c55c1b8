#pragma once

#include "platform/posix/service_manager.h"
#include "platform/posix/signals.h"
#include "platform/posix/process.h"
