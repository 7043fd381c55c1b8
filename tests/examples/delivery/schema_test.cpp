#include <doctest/doctest.h>

#include <string>

#include "examples/delivery/schema/orders.fbs.h"

TEST_CASE("an order's event verifies and reads back, money in minor units") {
  delivery::OrderCreatedT created;
  created.id = "hub-1";
  created.source = "hub";
  created.timestamp_ms = 1'700'000'000'000;
  created.order = "o1";
  created.restaurant = "r1";
  created.items.push_back(std::make_unique<delivery::ItemT>());
  created.items[0]->name = "Ramen";
  created.items[0]->price_minor = 1'450;
  created.total_minor = 1'450;
  created.currency = "USD";
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(delivery::OrderCreated::Pack(builder, &created));

  flatbuffers::Verifier verifier(builder.GetBufferPointer(), builder.GetSize(), 16, 1'000);
  REQUIRE(verifier.VerifyBuffer<delivery::OrderCreated>(nullptr));
  const auto* read = flatbuffers::GetRoot<delivery::OrderCreated>(builder.GetBufferPointer());
  CHECK(read->order()->str() == "o1");
  CHECK(read->version() == 1);
  CHECK(read->items()->Get(0)->price_minor() == 1'450);
  CHECK(std::string(delivery::OrderCreated::GetFullyQualifiedName()) == "delivery.OrderCreated");
}

TEST_CASE("the header of an event has the same ids in all of them") {
  using namespace delivery;
  CHECK(OrderCreated::VT_CORRELATION_ID == OrderDelivered::VT_CORRELATION_ID);
  CHECK(OrderAccepted::VT_TIMESTAMP_MS == OrderPickedUp::VT_TIMESTAMP_MS);
  CHECK(OrderReady::VT_SOURCE == OrderAssigned::VT_SOURCE);
}
