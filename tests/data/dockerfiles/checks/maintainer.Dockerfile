FROM scratch AS a
MAINTAINER me <me@example.org>
FROM scratch
maintainer you
