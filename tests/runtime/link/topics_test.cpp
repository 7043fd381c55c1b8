#include "runtime/link/topics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "platform/sim/seeded_entropy.h"
#include "runtime/link/router_messages.h"

namespace pannier::testing {
namespace {

std::vector<std::string> levels_of(const std::string& text) {
  std::vector<std::string> levels(1);
  for (const char c : text) {
    if (c == '/') {
      levels.emplace_back();
    } else {
      levels.back() += c;
    }
  }
  return levels;
}

/// MQTT 5.0, 4.7, word for word and as slow as can be.
bool naive_match(const std::string& filter, const std::string& topic) {
  const auto filters = levels_of(filter);
  const auto topics = levels_of(topic);
  for (std::size_t i = 0; i < filters.size(); ++i) {
    if (filters[i] == "#") return topics.size() >= i;
    if (i >= topics.size()) return false;
    if (filters[i] != "+" && filters[i] != topics[i]) return false;
  }
  return filters.size() == topics.size();
}

std::string random_topic(sim::SeededEntropy& dice, bool filter) {
  static const std::vector<std::string> kWords = {"a", "b", "order", ""};
  std::string text;
  const std::uint64_t levels = 1 + dice.below(5);
  for (std::uint64_t i = 0; i < levels; ++i) {
    if (i > 0) text += '/';
    if (filter && i + 1 == levels && dice.chance(0.3)) return text + "#";
    text += filter && dice.chance(0.3) ? "+" : kWords[dice.below(kWords.size())];
  }
  return text.empty() ? "a" : text;
}

using Subscription = std::tuple<std::string, SubscriberId, std::uint64_t>;

TEST_CASE("the tree finds what a naive reading of the standard finds, whatever was added and removed") {
  sim::SeededEntropy dice{5};
  for (int round = 0; round < 50; ++round) {
    TopicTree tree;
    std::set<Subscription> model;
    for (int step = 0; step < 400; ++step) {
      const std::string filter = random_topic(dice, true);
      REQUIRE(check_filter(filter));
      const SubscriberId who = 1 + dice.below(6);
      const std::uint64_t tag = dice.below(2);
      const auto same = [&](const Subscription& each) {
        return std::get<0>(each) == filter && std::get<1>(each) == who;
      };
      if (dice.chance(0.6)) {
        REQUIRE(tree.add(filter, who, tag) == model.insert({filter, who, tag}).second);
      } else if (dice.chance(0.95)) {
        REQUIRE(tree.remove(filter, who) == (std::erase_if(model, same) > 0));
      } else {
        REQUIRE(tree.remove_all(who) ==
                std::erase_if(model, [&](const Subscription& each) { return std::get<1>(each) == who; }));
      }
      REQUIRE(tree.size() == model.size());
      const std::string topic = random_topic(dice, false);
      std::multiset<std::pair<SubscriberId, std::uint64_t>> found;
      std::multiset<std::pair<SubscriberId, std::uint64_t>> expected;
      tree.match(topic, [&](SubscriberId subscriber, std::uint64_t its_tag) { found.insert({subscriber, its_tag}); });
      for (const auto& [of_entry, subscriber, its_tag] : model) {
        const auto& its_filter = of_entry;  // clang 14 captures no structured binding
        const bool matches = naive_match(its_filter, topic);
        CAPTURE(its_filter);
        CAPTURE(topic);
        REQUIRE(topic_matches(its_filter, topic) == matches);
        if (matches) expected.insert({subscriber, its_tag});
      }
      REQUIRE(found == expected);
    }
  }
}

TEST_CASE("a topic has one to sixteen levels and no wildcards; a filter has them where they mean something") {
  for (const char* good : {"a", "a/b", "a//b", "/", "fleet/7/position"}) CHECK(check_topic(good));
  for (const char* bad : {"", "a/+", "#", "a+", "a/b#"}) CHECK_FALSE(check_topic(bad));
  for (const char* good : {"#", "+", "a/#", "+/b/+", "a//+"}) CHECK(check_filter(good));
  for (const char* bad : {"", "a#", "a/#/b", "a+/b", "##"}) CHECK_FALSE(check_filter(bad));
  CHECK_FALSE(check_topic(std::string(256, 'a')));
  CHECK_FALSE(check_topic("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"));
  CHECK_FALSE(check_topic(std::string_view{"a\0b", 3}));
}

}  // namespace
}  // namespace pannier::testing
