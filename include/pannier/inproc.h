#pragma once

#include "transports/inproc/inproc_transport.h"
