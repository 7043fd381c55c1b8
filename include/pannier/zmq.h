#pragma once

#include "transports/zmq/keys.h"
#include "transports/zmq/zmq_transport.h"
#include "transports/zmq/context.h"
