#pragma once

/// Everything a program that writes actors needs. main also includes what it chooses: <pannier/process.h>, a transport
/// (<pannier/zmq.h>), a store (<pannier/sqlite_store.h>).

#include <pannier/actor.h>
#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/node.h>
#include <pannier/platform.h>
#include <pannier/queue.h>
#include <pannier/result.h>
