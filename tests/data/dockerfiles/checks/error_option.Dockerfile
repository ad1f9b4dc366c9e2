# check=error=true
FROM scratch AS Base
