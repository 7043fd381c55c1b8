// A node with a gateway and a service, for tests with real sockets: http_hub STORE [SETTING=VALUE...].

#include <pannier/http.h>
#include <pannier/run.h>

#include <cstdio>
#include <memory>

#include "tests/gateways/http/web_shop.h"

int main(int argc, char** argv) {
  pannier::RunOptions options;
  options.name = "hub";
  options.tools = "off";
  options.store = argc > 1 ? argv[1] : "";
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const std::size_t equals = word.find('=');
    options.app["http." + word.substr(0, equals)] = word.substr(equals + 1);
  }
  std::unique_ptr<pannier::http::Gateway> gateway;
  return pannier::run(options,
                      [&](pannier::Node& node, const pannier::RunOptions& read,
                          pannier::posix::Process& process) -> pannier::Result<void> {
                        auto shop = node.spawn<pannier::testing::WebShop>({.name = "shop"});
                        if (!shop) return shop.error();
                        pannier::http::Options defaults;
                        defaults.listen = "127.0.0.1:0";
                        defaults.mounts = {{&web::Shop::reflected(), "shop"}};
                        auto settings = pannier::http::options_from(read.app, "http.", defaults);
                        if (!settings) return settings.error();
                        auto made = pannier::http::Gateway::create(node, process.platform(), *settings);
                        if (!made) return made.error();
                        gateway = std::move(*made);
                        process.drive(gateway->loop());
                        std::printf("%s\n", gateway->address().c_str());
                        std::fflush(stdout);
                        return {};
                      });
}
