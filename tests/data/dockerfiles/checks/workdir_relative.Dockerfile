FROM scratch AS a
WORKDIR app
WORKDIR other
FROM scratch AS b
WORKDIR /app
WORKDIR rel
