#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <pannier/field_mask.h>
#include <pannier/gather.h>
#include <pannier/pannier.h>

#include "examples/bff/schema/bff.fbs.h"

/// A backend for two frontends: one order, known in parts by five services, in the shape that each device wants. It
/// asks the services at the same time, each for the fields it needs, and answers in time with what there is.
namespace bff {

using namespace std::chrono_literals;

/// Where the services are: "orders" here, or "hub/orders".
struct Places {
  std::string orders = "orders";
  std::string couriers = "couriers";
  std::string restaurants = "restaurants";
  std::string etas = "etas";
  std::string payments = "payments";
};

class Frontend : public pannier::Actor<Frontend, HandheldQuestion, TabletQuestion, pannier::Down> {
 public:
  explicit Frontend(const Places& places)
      : orders_(*this, service(places.orders)),
        couriers_(*this, service(places.couriers)),
        restaurants_(*this, service(places.restaurants)),
        etas_(*this, service(places.etas)),
        payments_(*this, service(places.payments)) {}

  void on(const HandheldQuestion& question, pannier::Responder responder) {
    const auto about = [&](std::uint64_t fields) { return ask_for(question.order()->str(), fields); };
    remember(gather_.ask(800ms)
                 .part("order", orders_, about(pannier::field_mask<Order>("status", "total_minor")))
                 .part("restaurant", restaurants_, about(pannier::field_mask<Restaurant>("address")))
                 .part("payment", payments_, about(pannier::field_mask<Payment>("paid")))
                 .part("eta", etas_, about(pannier::field_mask<Eta>("minutes")),
                       {.required = false, .deadline = 300ms, .stale_ok = 5min})
                 .then([responder](const pannier::Gathered& all) { answer_handheld(all, responder); }));
  }
  void on(const TabletQuestion& question, pannier::Responder responder) {
    const auto about = [&](std::uint64_t fields) { return ask_for(question.order()->str(), fields); };
    remember(gather_.ask(2s)
                 .part("order", orders_, about(pannier::field_mask<Order>("lines", "notes")))
                 .part("courier", couriers_, about(pannier::field_mask<Courier>("name", "phone")), {.required = false})
                 .part("eta", etas_, about(pannier::field_mask<Eta>("minutes")),
                       {.required = false, .deadline = 500ms, .stale_ok = 5min})
                 .then([responder](const pannier::Gathered& all) { answer_tablet(all, responder); }));
  }
  /// Who asked is gone: what was asked for it is taken back.
  void on(const pannier::Down& down) {
    const auto asked = asked_.extract(down.actor.id());
    if (!asked.empty()) asked.mapped().cancel();
  }

  [[nodiscard]] const pannier::Gatherer& gatherer() const noexcept { return gather_; }

 private:
  pannier::DestinationOptions service(const std::string& place) {
    pannier::Policy policy;
    policy.deadline = 2s;
    return {.name = place, .to = {ref(place)}, .policy = policy};
  }
  static pannier::Table<Ask> ask_for(const std::string& order, std::uint64_t fields) {
    return pannier::make<Ask>(order, fields);
  }
  void remember(pannier::CallHandle handle) {
    if (!sender() || sender().id().is_elsewhere()) return;  // over a link the deadline says it
    if (asked_.insert_or_assign(sender().id(), std::move(handle)).second) watch(sender());
  }

  static std::vector<std::string> missing(const pannier::Gathered& all) {
    std::vector<std::string> names;
    for (const pannier::Part& part : all.parts()) {
      if (!part.value) names.push_back(part.name + ": " + std::string{to_string(part.status)});
    }
    return names;
  }
  template <class T>
  static std::string text(const pannier::Result<pannier::Table<T>>& part,
                          const flatbuffers::String* (T::*field)() const) {
    if (!part) return {};
    const auto* value = ((**part).*field)();
    return value == nullptr ? std::string{} : value->str();
  }
  static std::int16_t minutes(const pannier::Gathered& all) {
    const auto eta = all.get<Eta>("eta");
    return eta ? static_cast<std::int16_t>((*eta)->minutes()) : std::int16_t{-1};
  }

  static void answer_handheld(const pannier::Gathered& all, const pannier::Responder& responder) {
    const auto order = all.get<Order>("order");
    const auto payment = all.get<Payment>("payment");
    HandheldViewT view;
    view.status = text(order, &Order::status);
    view.pick_up_at = text(all.get<Restaurant>("restaurant"), &Restaurant::address);
    view.minutes = minutes(all);
    view.minutes_age_s = static_cast<std::uint32_t>(all.find("eta")->age / 1s);
    if (order && payment && !(*payment)->paid()) view.to_collect_minor = (*order)->total_minor();
    view.missing = missing(all);
    responder.reply(pannier::pack(view));
  }
  static void answer_tablet(const pannier::Gathered& all, const pannier::Responder& responder) {
    const auto order = all.get<Order>("order");
    const auto courier = all.get<Courier>("courier");
    TabletViewT view;
    if (order && (*order)->lines() != nullptr) {
      for (const Line* line : *(*order)->lines()) view.lines.emplace_back(line->UnPack());
    }
    view.notes = text(order, &Order::notes);
    view.courier = text(courier, &Courier::name);
    view.courier_phone = text(courier, &Courier::phone);
    view.minutes = minutes(all);
    view.missing = missing(all);
    responder.reply(pannier::pack(view));
  }

  pannier::Destination orders_;
  pannier::Destination couriers_;
  pannier::Destination restaurants_;
  pannier::Destination etas_;
  pannier::Destination payments_;
  pannier::Gatherer gather_{*this};
  std::map<pannier::ActorId, pannier::CallHandle> asked_;  // the latest question of each asker here
};

}  // namespace bff
