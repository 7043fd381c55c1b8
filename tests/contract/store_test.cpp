#include "tests/contract/store_contract.h"
#include "tests/support/fixtures.h"

TYPE_TO_STRING(pannier::testing::MemoryStoreFixture);
TYPE_TO_STRING(pannier::testing::SqliteStoreFixture);

TEST_CASE_TEMPLATE_INVOKE(store_contract, pannier::testing::MemoryStoreFixture, pannier::testing::SqliteStoreFixture);
TEST_CASE_TEMPLATE_INVOKE(store_persistence_contract, pannier::testing::SqliteStoreFixture);
