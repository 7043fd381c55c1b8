#include "pannier.h"

pannier::Result<int> deliver(bool open) {
  if (!open) return pannier::Error{pannier::ErrorCode::closed, "the kitchen is closed"};
  return 1;
}

int main() {
  const bool named = to_string(deliver(false).error().code) == "closed";
  return deliver(true).ok() && named ? 0 : 1;
}
