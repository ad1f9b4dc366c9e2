"""Images from registries: the distribution protocol, credentials, and the way of an image into the store.

    settings      what the user has configured: mirrors, insecure hosts, proxies
    credentials   Docker's config.json and its credential helpers
    transport     HTTP connections, proxies, redirects; knows nothing of registries
    auth          challenges, and the tokens that answer them
    registry      manifests and blobs of one repository, with mirrors and retries
    download      a blob into the store: resumed, checked, shared by all who want it
    pull          an image: manifest, platform, layers, record

https://github.com/opencontainers/distribution-spec/blob/main/spec.md. Importing this package costs nothing; http
and ssl are imported by the first request.
"""
