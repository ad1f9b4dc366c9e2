# check=skip=MaintainerDeprecated, StageNameCasing
FROM scratch AS Base
MAINTAINER x
