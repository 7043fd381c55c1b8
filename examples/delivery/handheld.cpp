// A driver's handheld: takes jobs, reports pick-up and delivery, and publishes the driver's position. Several drivers
// may share a process; each is an actor with its own lane.
//
//   handheld --config handheld1.toml

#include <cmath>

#include "examples/delivery/events.h"
#include "examples/delivery/node_setup.h"
#include "examples/delivery/witness.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;

class Driver : public Actor<Driver, OrderOffer, OrderAssigned> {
 public:
  Driver(Courier courier, const Setup* setup)
      : courier_(std::move(courier)),
        setup_(*setup),
        witness_(setup->ledger.get(), courier_.id + "/applied/"),
        from_(courier_.start),
        to_(courier_.start) {}

  // First the unfinished jobs of the last life, then new ones.
  void on_start() {
    read_state(courier_.id + "/").then([this](Result<std::vector<StateRow>> rows) {
      if (!rows) return fail(rows.error().text());
      for (const StateRow& row : *rows) {
        if (witness_.restore(row)) continue;
        if (const auto kept = table_of<CourierJob>(row)) {
          CourierJobT job;
          (*kept)->UnPackTo(&job);
          drive(std::move(job));
        }
      }
      require(consume<OrderAssigned>(courier_.id));
      every(kPositionPeriod, &Driver::tell_position);
    });
  }

  // Asked: can you carry it? The answer is not stored.
  Table<OfferAnswer> on(const OrderOffer& offer) {
    const bool free = jobs_.empty();
    return make<OfferAnswer>(offer.order()->string_view(), courier_.id, free, free ? "" : "has a job already");
  }

  // Durable: carry it. Storing the job and acknowledging the message is one transaction.
  void on(const OrderAssigned& assigned, Delivery delivery) {
    CourierJobT job;
    job.order = assigned.order()->str();
    job.correlation_id = assigned.correlation_id()->str();
    job.pickup_x_m = assigned.pickup_x_m();
    job.pickup_y_m = assigned.pickup_y_m();
    job.dropoff_x_m = assigned.dropoff_x_m();
    job.dropoff_y_m = assigned.dropoff_y_m();
    job.due_ms = now_ms() + drive_ms(position(), pickup(job)) + setup_.day.parameters.pickup_service_min * kMinuteMs;
    Batch batch;
    batch.put_state(state_key(job.order), pack(job));
    witness_.applied(batch, assigned);
    commit(delivery, std::move(batch)).then([this, job](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());  // restarted from what is on disk
      drive(job);
    });
  }

 private:
  static constexpr std::int64_t kMinuteMs = DayClock::kMinuteMs;
  static constexpr Duration kPositionPeriod = 1s;

  /// Runs the current leg to its end.
  void drive(CourierJobT job) {
    from_ = position();
    to_ = job.picked_up ? dropoff(job) : pickup(job);
    left_ms_ = now_ms();
    arrives_ms_ = job.due_ms;
    const std::string order = job.order;
    after(setup_.clock.until(job.due_ms, wall_now()), [this, order] {
      const CourierJobT& done = jobs_.at(order);
      done.picked_up ? deliver(done) : pick_up(done);
    });
    jobs_[order] = std::move(job);
  }

  void pick_up(CourierJobT job) {
    job.picked_up = true;
    job.due_ms = now_ms() + drive_ms(pickup(job), dropoff(job)) + setup_.day.parameters.dropoff_service_min * kMinuteMs;
    auto picked_up = event_of<OrderPickedUpT>(job.order, job.correlation_id, setup_.name, now_ms());
    picked_up.driver = courier_.id;
    const auto event = pack(picked_up);
    Batch batch;
    batch.put_state(state_key(job.order), pack(job)).enqueue(kHubOrders, job.order, event);
    commit(std::move(batch)).then([this, job, event](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());
      witness_.accepted(event, 1);
      drive(job);
    });
  }

  void deliver(const CourierJobT& job) {
    auto delivered = event_of<OrderDeliveredT>(job.order, job.correlation_id, setup_.name, now_ms());
    delivered.driver = courier_.id;
    const auto event = pack(delivered);
    Batch batch;
    batch.erase_state(state_key(job.order)).enqueue(kHubOrders, job.order, event);
    commit(std::move(batch)).then([this, order = job.order, event](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());
      witness_.accepted(event, 2);
      jobs_.erase(order);
      from_ = to_;
    });
  }

  /// Only the newest position matters, so it is published, not enqueued, and retained for later subscribers.
  void tell_position() {
    const std::int32_t minute = setup_.clock.minute(wall_now());
    if (jobs_.empty() && (minute < courier_.on_min || minute > courier_.off_min)) return;  // off duty
    DriverPositionT here;
    here.driver = courier_.id;
    here.x_m = position().x_m;
    here.y_m = position().y_m;
    here.timestamp_ms = now_ms();
    if (!jobs_.empty()) here.order = jobs_.begin()->first;
    publish("fleet/" + courier_.id + "/position", pack(here), {.retain = true}).ignore();
  }

  /// On a straight line, at constant speed.
  Place position() const {
    const auto span = static_cast<double>(std::max<std::int64_t>(1, arrives_ms_ - left_ms_));
    const double part = std::clamp(static_cast<double>(now_ms() - left_ms_) / span, 0.0, 1.0);
    const auto between = [part](std::int32_t a, std::int32_t b) {
      return a + static_cast<std::int32_t>(std::lround(part * (b - a)));
    };
    return {between(from_.x_m, to_.x_m), between(from_.y_m, to_.y_m)};
  }
  std::int64_t drive_ms(Place from, Place to) const {
    const double metres = std::hypot(from.x_m - to.x_m, from.y_m - to.y_m);
    return static_cast<std::int64_t>(metres / setup_.day.parameters.metres_per_minute * kMinuteMs);
  }
  static Place pickup(const CourierJobT& job) { return {job.pickup_x_m, job.pickup_y_m}; }
  static Place dropoff(const CourierJobT& job) { return {job.dropoff_x_m, job.dropoff_y_m}; }
  std::int64_t now_ms() const { return setup_.clock.now_ms(wall_now()); }
  std::string state_key(const std::string& order) const { return courier_.id + "/job/" + order; }

  const Courier courier_;
  const Setup& setup_;
  Witness witness_;
  std::map<std::string, CourierJobT> jobs_;  // one, or more after a crash of the hub
  Place from_;
  Place to_;
  std::int64_t left_ms_ = 0;
  std::int64_t arrives_ms_ = 0;
};

}  // namespace
}  // namespace pannier::delivery

int main(int argc, char** argv) {
  using namespace pannier::delivery;
  return run_program("handheld", argc, argv, [](Setup& setup, pannier::Node& node) -> pannier::Result<void> {
    for (const Courier& courier : setup.day.couriers) {
      if (!setup.serves_here(courier.id)) continue;
      if (auto made = node.spawn<Driver>({.name = courier.id}, courier, &setup); !made) return made.error();
    }
    return {};
  });
}
