FROM scratch AS Base
ENV a b
