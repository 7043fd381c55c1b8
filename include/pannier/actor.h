#pragma once

#include "runtime/actor/options.h"
#include "runtime/actor/responder.h"
#include "runtime/actor/message_key.h"
#include "runtime/actor/actor_base.h"
#include "runtime/actor/actor.h"
