FROM scratch AS Build
FROM scratch AS build2
FROM scratch AS THIRD
