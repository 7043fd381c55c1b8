#pragma once

#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/log.h"
#include "platform/wakeup.h"
#include "platform/loop.h"
#include "platform/files.h"
#include "platform/platform.h"
