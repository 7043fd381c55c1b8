#include "tests/contract/store_contract.h"
#include "tests/support/fixtures.h"

TYPE_TO_STRING(pannier::testing::MemoryStoreFixture);
TYPE_TO_STRING(pannier::testing::SqliteStoreFixture);
TYPE_TO_STRING(pannier::testing::SimulatedDiskFixture);

TEST_CASE_TEMPLATE_INVOKE(store_contract, pannier::testing::MemoryStoreFixture, pannier::testing::SqliteStoreFixture,
                          pannier::testing::SimulatedDiskFixture);
TEST_CASE_TEMPLATE_INVOKE(store_persistence_contract, pannier::testing::SqliteStoreFixture,
                          pannier::testing::SimulatedDiskFixture);
