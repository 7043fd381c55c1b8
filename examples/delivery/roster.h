#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include <pannier/platform.h>
#include "examples/delivery/day/day.h"

namespace pannier::delivery {

/// The drivers, their positions, and who is free. The hub's view, rebuilt from its orders after a restart.
class Roster {
 public:
  explicit Roster(const Day& day) : last_minute_(day.last_minute()) {
    for (const Courier& courier : day.couriers) drivers_[courier.id] = {courier, courier.start, false, {}};
  }

  void is_at(const std::string& driver, Place place) {
    if (const auto found = drivers_.find(driver); found != drivers_.end()) found->second.place = place;
  }
  void set_busy(const std::string& driver, bool busy) {
    if (const auto found = drivers_.find(driver); found != drivers_.end()) found->second.busy = busy;
  }
  /// Declined or was unreachable: free, but skipped until `again`.
  void pass_over(const std::string& driver, MonoTime again) {
    set_busy(driver, false);
    if (const auto found = drivers_.find(driver); found != drivers_.end()) found->second.ask_again = again;
  }

  /// The free driver on shift nearest to `from`; after the end of the day, any free driver. Empty if there is none.
  [[nodiscard]] std::string nearest_free(Place from, std::int32_t minute, MonoTime now) const {
    const bool overtime = minute > last_minute_;
    std::string nearest;
    double least = std::numeric_limits<double>::max();
    for (const auto& [id, driver] : drivers_) {
      const bool on_shift = minute >= driver.courier.on_min && minute <= driver.courier.off_min;
      if (driver.busy || now < driver.ask_again || !(on_shift || overtime)) continue;
      const double metres = std::hypot(driver.place.x_m - from.x_m, driver.place.y_m - from.y_m);
      if (metres >= least) continue;
      least = metres;
      nearest = id;
    }
    return nearest;
  }

 private:
  struct Driver {
    Courier courier;
    Place place;
    bool busy = false;
    MonoTime ask_again{};
  };
  std::int32_t last_minute_;
  std::map<std::string, Driver> drivers_;
};

}  // namespace pannier::delivery
