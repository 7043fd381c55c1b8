#include "testkit/faulty_store.h"
#include <pannier/sim.h>
#include "runtime/store/store.h"
#include "testkit/memory_store.h"
#include "tests/contract/store_contract.h"

namespace pannier::testing {

/// The test kit's broken store is a good one while nothing is broken.
class FaultyStoreFixture {
 public:
  [[nodiscard]] Store& store() { return store_; }

 private:
  sim::SeededEntropy entropy_{7};
  testkit::MemoryStore real_{entropy_};
  testkit::FaultyStore store_{real_};
};

}  // namespace pannier::testing

TYPE_TO_STRING(pannier::testing::FaultyStoreFixture);
TEST_CASE_TEMPLATE_INVOKE(store_contract, pannier::testing::FaultyStoreFixture);
