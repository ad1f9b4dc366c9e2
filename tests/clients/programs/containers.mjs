// testcontainers for Node, on the server at DOCKER_HOST.
import { GenericContainer, Network, Wait } from "testcontainers";

const network = await new Network().start();
const web = await new GenericContainer("box")
  .withCommand(["sh", "-c", "mkdir /www; echo page >/www/index.html; echo ready; exec busybox httpd -f -h /www"])
  .withExposedPorts(80)
  .withNetwork(network)
  .withNetworkAliases("web")
  .withCopyContentToContainer([{ content: "copied\n", target: "/copied" }])
  .withWaitStrategy(Wait.forLogMessage("ready"))
  .start();
const page = await (await fetch(`http://${web.getHost()}:${web.getMappedPort(80)}/`)).text();
console.log("page", JSON.stringify(page));
const done = await web.exec(["cat", "/copied"]);
console.log("exec", done.exitCode, JSON.stringify(done.output));
const other = await new GenericContainer("box").withCommand(["sleep", "1000"]).withNetwork(network).start();
console.log("other", (await other.exec(["wget", "-qO-", "http://web/"])).output.trim());
await web.restart();
await other.stop();
await web.stop();
await network.stop();
console.log("stopped");
