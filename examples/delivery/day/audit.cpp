#include "examples/delivery/day/audit.h"

#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>

namespace pannier::delivery {

void Auditor::add(const std::string& process, const std::vector<LedgerLine>& lines) {
  Receiver& receiver = receivers_[process];
  for (const LedgerLine& line : lines) {
    if (const auto* accepted = std::get_if<Accepted>(&line)) {
      promises_.try_emplace(accepted->event, Promise{process, accepted->order, accepted->type, accepted->sequence});
    } else if (const auto* applied = std::get_if<Applied>(&line)) {
      receiver.effects[applied->event] = {applied->order, applied->type, applied->times, applied->position};
      receiver.complete = false;
    } else if (const auto* end = std::get_if<End>(&line)) {
      receiver.complete = end->rows == receiver.effects.size();
    }
  }
}

Result<void> Auditor::add_file(const std::string& directory, const std::string& process) {
  const std::string path = directory + "/" + process + ".ledger";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return Error{ErrorCode::not_found, path + ": no ledger; did the process ever start?"};
  }
  LedgerReader reader(path);
  const auto lines = reader.read_more();
  if (!lines) return lines.error();
  add(process, *lines);
  torn_ += reader.torn();
  return {};
}

AuditResult Auditor::result() const {
  AuditResult result;
  result.events_accepted = promises_.size();
  result.torn_lines = torn_;
  const auto violation = [&result](std::uint64_t& counter, std::string text) {
    ++counter;
    if (result.examples.size() < AuditResult::kMaxExamples) result.examples.push_back(std::move(text));
  };

  std::map<std::string_view, std::uint64_t> times;  // by event, over all receivers
  std::set<std::string_view> delivered;
  // Per sender, receiver and order: where each event was applied, in sending order.
  using Flow = std::tuple<std::string_view, std::string_view, std::string_view>;
  using Sent = std::pair<std::uint64_t, std::string_view>;
  std::map<Flow, std::map<Sent, std::uint64_t>> flows;

  for (const auto& [process, receiver] : receivers_) {
    if (!receiver.complete) result.incomplete.push_back(process);
    for (const auto& [event, effect] : receiver.effects) {
      if (effect.times == 0) continue;
      times[event] += effect.times;
      if (effect.type == delivering_type_) delivered.insert(effect.order);
      const auto promise = promises_.find(event);
      if (promise == promises_.end()) {
        ++result.unclaimed;
        continue;
      }
      const Promise& known = promise->second;
      flows[{known.sender, process, known.order}][{known.sequence, event}] = effect.position;
    }
  }
  result.events_applied = times.size();
  result.orders_delivered = delivered.size();

  for (const auto& [event, promise] : promises_) {
    if (!times.contains(event)) {
      violation(result.lost, "lost: " + promise.type + " " + event + " of order " + promise.order + ", accepted at " +
                                 promise.sender);
    }
  }
  for (const auto& [event, count] : times) {
    if (count > 1) {
      violation(result.twice, "twice: " + std::string(event) + " was applied " + std::to_string(count) + " times");
    }
  }
  for (const auto& [flow, events] : flows) {
    std::uint64_t highest = 0;
    for (const auto& [sent, position] : events) {
      if (position <= highest) {
        violation(result.out_of_order, "out of order: " + std::string(sent.second) + " of order " +
                                           std::string(std::get<2>(flow)) + " was applied at " +
                                           std::string(std::get<1>(flow)) + " after one that was sent later");
      } else {
        highest = position;
      }
    }
  }
  return result;
}

}  // namespace pannier::delivery
