// CQRS: products are written as events and read from tables that follow them, each made for its question: full text,
// details, inventory, a report of prices.

#include <cstdio>

#include <pannier/entity.h>
#include <pannier/pannier.h>
#include <pannier/projection.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using namespace patterns;
using pannier::text_of;

// --- The writing side
struct Product : pannier::EventSourced<Product, ProductAdded, PriceChanged, Restocked, Discontinued> {
  template <class Command>
  static std::string_view entity_of(const Command& command) {
    return text_of(command.product());
  }
  void apply(const ProductAdded&) { sold_ = true; }
  void apply(const PriceChanged&) {}
  void apply(const Restocked&) {}
  void apply(const Discontinued&) { sold_ = false; }

  pannier::Decision on(const AddProduct& c) {
    if (version() > 0) return refuse("there is such a product");
    return accept(pannier::make<ProductAdded>(text_of(c.name()), text_of(c.text()), c.price()));
  }
  pannier::Decision on(const ChangePrice& c) {
    return sold_ ? accept(pannier::make<PriceChanged>(c.price())) : refuse("no such product");
  }
  pannier::Decision on(const Restock& c) {
    return sold_ ? accept(pannier::make<Restocked>(c.pieces())) : refuse("no such product");
  }
  pannier::Decision on(const Discontinue&) {
    return sold_ ? accept(pannier::make<Discontinued>(false)) : refuse("no such product");
  }
  bool sold_ = false;
};

// --- The reading side: one projection with four tables, so that they agree with each other
struct Catalogue : pannier::Projection<Catalogue, ProductAdded, PriceChanged, Restocked, Discontinued> {
  static constexpr std::string_view kName = "catalogue";
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::string_view kStreams = "product-";

  static void create(pannier::ReadModel& model) {
    model.full_text("words", "product UNINDEXED, name, text");
    model.table("details", "product TEXT PRIMARY KEY, name TEXT, price INTEGER");
    model.table("inventory", "product TEXT PRIMARY KEY, pieces INTEGER");
    model.table("price", "product TEXT, version INTEGER, price INTEGER, PRIMARY KEY (product, version)");
  }
  using Event = pannier::RecordedEvent;
  static void apply(const ProductAdded& e, const Event& event, pannier::ReadModel& model) {
    model.execute("INSERT INTO {words} VALUES (?1, ?2, ?3)", event.stream, text_of(e.name()), text_of(e.text()))
        .execute("INSERT INTO {details} VALUES (?1, ?2, ?3)", event.stream, text_of(e.name()), e.price())
        .execute("INSERT INTO {inventory} VALUES (?1, 0)", event.stream)
        .execute("INSERT INTO {price} VALUES (?1, ?2, ?3)", event.stream, event.version, e.price());
  }
  static void apply(const PriceChanged& e, const Event& event, pannier::ReadModel& model) {
    model.execute("UPDATE {details} SET price=?2 WHERE product=?1", event.stream, e.price())
        .execute("INSERT INTO {price} VALUES (?1, ?2, ?3)", event.stream, event.version, e.price());
  }
  static void apply(const Restocked& e, const Event& event, pannier::ReadModel& model) {
    model.execute("UPDATE {inventory} SET pieces=pieces+?2 WHERE product=?1", event.stream, e.pieces());
  }
  static void apply(const Discontinued&, const Event& event, pannier::ReadModel& model) {
    model.execute("DELETE FROM {words} WHERE product=?1", event.stream)
        .execute("DELETE FROM {details} WHERE product=?1", event.stream)
        .execute("DELETE FROM {inventory} WHERE product=?1", event.stream);
  }

  static pannier::AnyTable lines(const std::vector<pannier::SqlRow>& rows) {
    std::string text;
    for (const auto& row : rows) text += (text.empty() ? "" : ", ") + std::get<std::string>(row.at(0));
    return pannier::make<Answer>(text);
  }
  static pannier::ReadQuery on(const Search& q) {
    return {"SELECT name FROM {words} WHERE {words} MATCH ?1 ORDER BY rank", &lines, text_of(q.words())};
  }
  static pannier::ReadQuery on(const Details& q) {
    return {"SELECT name || ' at ' || price FROM {details} WHERE product='product-' || ?1", &lines,
            text_of(q.product())};
  }
  static pannier::ReadQuery on(const Inventory& q) {
    return {"SELECT product || ' ' || pieces FROM {inventory} WHERE pieces<?1 ORDER BY product", &lines, q.below()};
  }
  static pannier::ReadQuery on(const PriceReport&) {
    return {"SELECT product || ' ' || min(price) || '-' || max(price) FROM {price} GROUP BY product", &lines};
  }
};

struct Shop : pannier::Actor<Shop> {
  void on_start() {
    write(pannier::make<AddProduct>("1", "Tomato soup", "with basil", 650));
    write(pannier::make<AddProduct>("2", "Garlic bread", "with tomato butter", 400));
    write(pannier::make<ChangePrice>("1", 700));
    write(pannier::make<Restock>("2", 12));
    write(pannier::make<Discontinue>("3"));
  }
  void write(const pannier::AnyTable& command) {
    ask<pannier::AnyTable>(ref("products"), command, 10s).then([this](const pannier::Result<pannier::AnyTable>& done) {
      if (!done) std::printf("%s\n", done.error().text().c_str());
      // Reads lag behind writes, by some milliseconds here.
      if (++written_ == 5) after(200ms, [this] { read_all(); });
    });
  }
  void read_all() {
    read("search", pannier::make<Search>("tomato"));
    read("details", pannier::make<Details>("1"));
    read("inventory", pannier::make<Inventory>(10));
    read("prices", pannier::make<PriceReport>(false));
  }
  void read(const char* what, const pannier::AnyTable& question) {
    ask<Answer>(ref("catalogue"), question, 10s)
        .then([this, what](const pannier::Result<pannier::Table<Answer>>& answer) {
          std::printf("%s: %s\n", what, answer ? (*answer)->text()->c_str() : answer.error().text().c_str());
          if (++read_ == 4) stop_node();
        });
  }
  int written_ = 0;
  int read_ = 0;
};

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: pattern_catalogue STORE\n"), 2;
  return pannier::run({.name = "shop", .store = argv[1]}, [](pannier::Node& node) -> pannier::Result<void> {
    auto products = node.spawn<pannier::EntityHost>(
        {.name = "products"}, pannier::entity_kind<Product, AddProduct, ChangePrice, Restock, Discontinue>(),
        pannier::EntityOptions{.stream_prefix = "product-"});
    if (!products) return products.error();
    auto catalogue = node.spawn<pannier::ProjectionHost>(
        {.name = "catalogue"}, pannier::projection_kind<Catalogue, Search, Details, Inventory, PriceReport>(),
        pannier::ProjectionOptions{});
    if (!catalogue) return catalogue.error();
    auto shop = node.spawn<Shop>();
    return shop ? pannier::Result<void>{} : shop.error();
  });
}
