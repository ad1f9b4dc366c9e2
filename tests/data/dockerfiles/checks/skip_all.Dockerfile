# check=skip=all
FROM scratch AS Base
MAINTAINER x
ENV a b
