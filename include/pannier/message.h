#pragma once

#include "runtime/message/type_id.h"
#include "runtime/message/timer_id.h"
#include "runtime/message/ref.h"
#include "runtime/message/callback.h"
#include "runtime/message/pool.h"
#include "runtime/message/block.h"
#include "runtime/message/message.h"
#include "runtime/message/table.h"
#include "runtime/message/any_table.h"
