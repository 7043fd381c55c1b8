#include "tests/contract/transport_contract.h"

namespace {
using pannier::testing::InprocFixture;
using pannier::testing::SimFixture;
using pannier::testing::ZmqCurveIpcFixture;
using pannier::testing::ZmqCurveTcpFixture;
using pannier::testing::ZmqPlainIpcFixture;
using pannier::testing::ZmqPlainTcpFixture;
}  // namespace

TYPE_TO_STRING(InprocFixture);
TYPE_TO_STRING(SimFixture);
TYPE_TO_STRING(ZmqCurveTcpFixture);
TYPE_TO_STRING(ZmqPlainTcpFixture);
TYPE_TO_STRING(ZmqCurveIpcFixture);
TYPE_TO_STRING(ZmqPlainIpcFixture);

#define PANNIER_ON_ALL(suite)                                                                         \
  TEST_CASE_TEMPLATE_INVOKE(suite, InprocFixture, SimFixture, ZmqCurveTcpFixture, ZmqPlainTcpFixture, \
                            ZmqCurveIpcFixture, ZmqPlainIpcFixture)

// The suite registers where it was defined.
namespace pannier::contract {

PANNIER_ON_ALL(transport_order);
PANNIER_ON_ALL(transport_sizes);
PANNIER_ON_ALL(transport_full);
PANNIER_ON_ALL(transport_close_dialled);
PANNIER_ON_ALL(transport_close_accepted);
PANNIER_ON_ALL(transport_nobody);
PANNIER_ON_ALL(transport_listener_vanishes);
PANNIER_ON_ALL(transport_dialler_vanishes);
PANNIER_ON_ALL(transport_two_diallers);
PANNIER_ON_ALL(transport_in_use);
PANNIER_ON_ALL(transport_bad_address);
PANNIER_ON_ALL(transport_unknown_channel);
PANNIER_ON_ALL(transport_wakeup);
PANNIER_ON_ALL(transport_reentrant);

}  // namespace pannier::contract
