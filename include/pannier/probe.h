#pragma once

#include "testkit/mail.h"
#include "testkit/received.h"
#include "testkit/probe.h"
