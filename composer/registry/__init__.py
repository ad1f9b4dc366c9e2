"""Registries: the distribution protocol and credentials, for the runtime and for every backend.

    settings      what the user has configured: mirrors, insecure hosts, proxies
    credentials   who we are: the logins of Docker's config.json and the credential helpers, for both backends
    failures      what a request fails with, and how long to wait before the next
    transport     HTTP through urllib3: redirects, private headers, proxies, certificates; knows nothing of registries
    auth          challenges, and the tokens that answer them
    endpoint      one place that serves a registry, and requests to it with a login where it asks for one
    registry      manifests and blobs of one repository, with mirrors and retries
    push          the same in the other direction: questions, mounts, uploads, manifests
    logins        credentials checked with a registry, and kept or removed
    dockerconfig  changes of Docker's config.json
    platforms     which system and processor an image is for, in one way of writing
    digests       what the registries have now, without any runtime

https://github.com/opencontainers/distribution-spec/blob/main/spec.md. Names of images are in
`composer.references`. Importing this package costs nothing; urllib3 is imported by the first request.
"""
