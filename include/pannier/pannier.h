#pragma once

#if __cplusplus < 202002L  // A file that is not there is a fatal error, and so the only one.
#include <Pannier needs C++20: compile with -std=c++20 or later>
#endif

/// Everything a program that writes actors needs. main also includes what it chooses: <pannier/process.h>, a transport
/// (<pannier/zmq.h>), a store (<pannier/sqlite_store.h>).

#include <pannier/actor.h>
#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/node.h>
#include <pannier/platform.h>
#include <pannier/queue.h>
#include <pannier/result.h>
