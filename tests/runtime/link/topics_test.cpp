#include "runtime/link/topics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <pannier/sim.h>
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
  if (topic.starts_with('$') && (filters[0] == "#" || filters[0] == "+")) return false;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    if (filters[i] == "#") return topics.size() >= i;
    if (i >= topics.size()) return false;
    if (filters[i] != "+" && filters[i] != topics[i]) return false;
  }
  return filters.size() == topics.size();
}

std::string random_topic(sim::SeededEntropy& dice, bool filter) {
  static const std::vector<std::string> kWords = {"a", "b", "order", "", "a-", "or", "$SYS"};
  std::string text;
  const std::uint64_t levels = 1 + dice.below(5);
  for (std::uint64_t i = 0; i < levels; ++i) {
    if (i > 0) text += '/';
    if (filter && i + 1 == levels && dice.chance(0.3)) return text + "#";
    text += filter && dice.chance(0.3) ? "+" : kWords[dice.below(kWords.size())];
  }
  return text.empty() ? "a" : text;
}

/// A tree that closes filters which nobody subscribes to any more.
struct Subscribers {
  bool add(const std::string& filter, std::size_t who, std::uint64_t tag) {
    return tree.open(filter).subscriptions.add(all[who], tag);
  }
  std::size_t remove(const std::string& filter, std::size_t who) {
    Filter* known = tree.find(filter);
    const std::size_t removed = known == nullptr ? 0 : known->subscriptions.remove(all[who]);
    if (known != nullptr && known->subscriptions.empty()) tree.close(*known);
    return removed;
  }
  std::vector<Subscriber> all = std::vector<Subscriber>(40);
  FilterTree tree;
};

using Subscription = std::tuple<std::string, std::size_t, std::uint64_t>;

TEST_CASE("the tree finds what a naive reading of the standard finds, whatever was added and removed") {
  sim::SeededEntropy dice{5};
  for (int round = 0; round < 20; ++round) {
    Subscribers real;
    std::set<Subscription> model;
    for (int step = 0; step < 400; ++step) {
      const std::string filter = dice.chance(0.2) ? "#" : random_topic(dice, true);  // one of them has many
      REQUIRE(check_filter(filter));
      const std::size_t who = dice.below(real.all.size());
      const std::uint64_t tag = dice.below(2);
      const auto same = [&](const Subscription& each) {
        return std::get<0>(each) == filter && std::get<1>(each) == who;
      };
      if (dice.chance(0.6)) {
        REQUIRE(real.add(filter, who, tag) == model.insert({filter, who, tag}).second);
      } else {
        REQUIRE(real.remove(filter, who) == std::erase_if(model, same));
      }
      const std::string topic = random_topic(dice, false);
      std::multiset<std::pair<std::size_t, std::uint64_t>> found;
      std::multiset<std::pair<std::size_t, std::uint64_t>> expected;
      real.tree.match(topic, [&](const Filter& each) {
        for (const auto& entry : each.subscriptions.entries()) {
          found.insert({static_cast<std::size_t>(entry.subscriber - real.all.data()), entry.tag});
        }
      });
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
    std::set<std::string> filters;
    for (const auto& each : model) filters.insert(std::get<0>(each));
    REQUIRE(real.tree.size() == filters.size());
    std::string walked;
    for (const Filter* each = real.tree.after(""); each != nullptr; each = real.tree.after(walked)) {
      walked = each->text;
      REQUIRE(filters.erase(walked) == 1);
    }
    REQUIRE(filters.empty());
  }
}

/// As retained values are searched. Counts the topics that it looks at.
std::vector<std::string> search(const std::set<std::string, TopicOrder>& topics, const std::string& filter,
                                std::size_t& tried) {
  std::vector<std::string> found;
  for (auto topic = topics.lower_bound(first_candidate(filter)); topic != topics.end();) {
    ++tried;
    if (topic_matches(filter, *topic)) {
      found.push_back(*topic++);
      continue;
    }
    const std::string next = next_candidate(filter, *topic);
    if (next.empty()) break;
    REQUIRE(TopicOrder{}(*topic, next));
    topic = topics.lower_bound(next);
  }
  return found;
}

TEST_CASE("a search among topics in order finds every match of a filter, and passes over what cannot match") {
  sim::SeededEntropy dice{6};
  for (int round = 0; round < 300; ++round) {
    std::set<std::string, TopicOrder> topics;
    for (std::uint64_t i = dice.below(60); i > 0; --i) topics.insert(random_topic(dice, false));
    const std::string filter = random_topic(dice, true);
    CAPTURE(filter);
    std::vector<std::string> expected;
    for (const std::string& topic : topics) {
      if (naive_match(filter, topic)) expected.push_back(topic);
    }
    std::size_t tried = 0;
    REQUIRE(search(topics, filter, tried) == expected);
  }

  std::set<std::string, TopicOrder> fleet;
  for (int van = 0; van < 1000; ++van) {
    for (const char* what : {"eta", "fuel", "load", "position", "speed"}) {
      fleet.insert("van/" + std::to_string(van) + "/" + what);
    }
  }
  const auto cost = [&](const std::string& filter, std::size_t matches) {
    std::size_t tried = 0;
    CHECK(search(fleet, filter, tried).size() == matches);
    return tried;
  };
  CHECK(cost("driver/7/position", 0) <= 2);
  CHECK(cost("van/7/position", 1) <= 2);
  CHECK(cost("van/7/#", 5) <= 6);
  CHECK(cost("van/+/position", 1000) <= 3001);  // one before each, one after
  CHECK(cost("+/7/+", 5) <= 8);
  CHECK(cost("zoo/#", 0) <= 2);
}

TEST_CASE("wildcards do not stand for a first level that begins with $, and stand for such a level further down") {
  FilterTree tree;
  Subscriber one;
  for (const char* filter : {"#", "+/b", "+", "$SYS/#", "$SYS/+", "a/+", "a/#"}) {
    CHECK(tree.open(filter).subscriptions.add(one, 0));
  }
  const auto matches = [&](std::string_view topic) {
    std::string all;
    tree.match(topic, [&](const Filter& filter) { all += std::string{filter.text} + " "; });
    return all;
  };
  CHECK(matches("$SYS/b") == "$SYS/# $SYS/+ ");
  CHECK(matches("$SYS") == "$SYS/# ");
  CHECK(matches("$other") == "");
  CHECK(matches("a/$b") == "# a/# a/+ ");
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
