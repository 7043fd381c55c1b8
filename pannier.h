#pragma once

/// Everything a program that writes actors needs, in one include. `main` also includes the parts that it chooses:
/// "platform/posix/process.h", a transport ("transports/zmq/transport.h"), a store ("runtime/store/sqlite_store.h").

#include "platform/platform.h"
#include "platform/result.h"
#include "runtime/actor/actor.h"
#include "runtime/limits.h"
#include "runtime/message/table.h"
#include "runtime/message/type_id.h"
#include "runtime/node/node.h"
#include "runtime/node/queue_control.h"
