#include "runtime/store/store.h"
#include "testkit/faulty_store.h"
#include "testkit/memory_store.h"
#include "tests/contract/store_contract.h"
#include "tests/contract/store_parts_contract.h"
#include "tests/contract/store_persistence_contract.h"
#include "tests/contract/store_records_contract.h"
#include "tests/contract/store_states_contract.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {

/// The store that fails on demand, asked for nothing: it keeps the contract of the one behind it.
template <class Real>
class FaultyFixture {
 public:
  [[nodiscard]] Store& store() { return store_; }

 private:
  Real real_;
  testkit::FaultyStore store_{real_.store()};
};
using FaultyMemoryFixture = FaultyFixture<MemoryStoreFixture>;
using FaultySqliteFixture = FaultyFixture<SqliteStoreFixture>;

}  // namespace pannier::testing

TYPE_TO_STRING(pannier::testing::MemoryStoreFixture);
TYPE_TO_STRING(pannier::testing::SqliteStoreFixture);
TYPE_TO_STRING(pannier::testing::SimulatedDiskFixture);
TYPE_TO_STRING(pannier::testing::FaultyMemoryFixture);
TYPE_TO_STRING(pannier::testing::FaultySqliteFixture);

#define PANNIER_ALL_STORES                                                                                            \
  pannier::testing::MemoryStoreFixture, pannier::testing::SqliteStoreFixture, pannier::testing::SimulatedDiskFixture, \
      pannier::testing::FaultyMemoryFixture, pannier::testing::FaultySqliteFixture

TEST_CASE_TEMPLATE_INVOKE(store_contract, PANNIER_ALL_STORES);
TEST_CASE_TEMPLATE_INVOKE(store_states_contract, PANNIER_ALL_STORES);
TEST_CASE_TEMPLATE_INVOKE(store_records_contract, PANNIER_ALL_STORES);
TEST_CASE_TEMPLATE_INVOKE(store_parts_contract, PANNIER_ALL_STORES);
TEST_CASE_TEMPLATE_INVOKE(store_persistence_contract, pannier::testing::SqliteStoreFixture,
                          pannier::testing::SimulatedDiskFixture);
