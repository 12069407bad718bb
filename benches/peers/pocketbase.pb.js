// Runs inside PocketBase. It opens its database with synchronous=NORMAL and has no setting for it; this sets FULL on the
// one connection that it writes through, where SYNCHRONOUS says so, and tells what that connection has.

onBootstrap((e) => {
  e.next();
  if ($os.getenv("SYNCHRONOUS") === "FULL") {
    e.app.nonconcurrentDB().newQuery("PRAGMA synchronous = FULL").execute();
  }
});

routerAdd("GET", "/synchronous", (e) => {
  const row = new DynamicModel({ synchronous: -1 });
  e.app.nonconcurrentDB().newQuery("PRAGMA synchronous").one(row);
  return e.json(200, row);
});
